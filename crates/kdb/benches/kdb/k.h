/* As much of q's C interface as functions written by hand need. */

#include <stdint.h>

typedef struct object {
    int8_t m, a, t;
    uint8_t u;
    int32_t r;
    union {
        int32_t i;
        int64_t j;
        double f;
        int64_t n;
    };
    /* Of vectors. */
    char elements[];
} *K;

enum { LIST = 0, INT = 6, FLOAT = 9, UNARY = 101 };

extern K dot(K function, K arguments);
extern K kf(double value);
extern K ki(int value);
extern K krr(const char *text);
extern K ktn(int type, long long count);
extern void r0(K object);
