/* The functions that are called, and those that call back. */

#include <stdint.h>

double power(double base, double exponent)
{
    return base * base + exponent;
}

int32_t add3(int32_t a, int32_t b, int32_t c)
{
    return a + b + c;
}

double half(double number)
{
    return number * 0.5;
}

int64_t repeat_int(int32_t (*function)(int32_t), int64_t count)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += function((int32_t)i);
    return sum;
}

double repeat_float(double (*function)(double, double), int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += function((double)i, 0.5);
    return sum;
}
