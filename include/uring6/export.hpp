// Marks what the shared library exports; everything else is built with hidden visibility.
#pragma once

#define URING6_EXPORT [[gnu::visibility("default")]]

// Marks a member of an exported class that no program needs from the library: the library alone calls it, or it is
// inline, and each program has its own copy.
#define URING6_HIDDEN [[gnu::visibility("hidden")]]
