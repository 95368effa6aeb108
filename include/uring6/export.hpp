// Marks what the shared library exports; everything else is built with hidden visibility.
#pragma once

#define URING6_EXPORT [[gnu::visibility("default")]]
