// The name of uring6/ip_options.hpp in 0.1. The next version has it no more.
#pragma once

#include "uring6/ip_options.hpp"
