/* The functions that the C library does not have. */

#include <stdint.h>

int32_t add3(int32_t a, int32_t b, int32_t c)
{
    return a + b + c;
}

int32_t repeat(int32_t (*function)(int32_t), int32_t count)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += function(i);
    return sum;
}
