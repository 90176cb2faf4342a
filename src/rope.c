#include "rope.h"

#include "fixedmath.h"

void ink_rope_frequencies(float *frequencies, float theta, int head_dim)
{
    double log_theta = ink_fixed_log(theta);
    for (int j = 0; j < head_dim / 2; j++) {
        float exponent = (float)(2 * j) / (float)head_dim;
        frequencies[j] = 1.0f / (float)ink_fixed_exp(exponent * log_theta);
    }
}

void ink_rope_angles(float *cosines, float *sines, int position, const float *frequencies,
                     int head_dim)
{
    for (int j = 0; j < head_dim / 2; j++) {
        float angle = (float)position * frequencies[j];
        double s, c;
        ink_fixed_sincos(angle, &s, &c);
        sines[j] = (float)s;
        cosines[j] = (float)c;
    }
}
