// Marks what the shared library exports; everything else is built with hidden visibility.
#pragma once

#define URING6_EXPORT [[gnu::visibility("default")]]

// Marks a member of an exported class that the library alone calls: no code in a header does, so no program needs it.
#define URING6_HIDDEN [[gnu::visibility("hidden")]]
