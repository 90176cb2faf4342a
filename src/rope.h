/* The angles of rotary embedding, as the original computes them: every step rounded to float32. */
#ifndef INK_ROPE_H
#define INK_ROPE_H

/* frequencies [head_dim / 2] = 1 / theta^(2j / head_dim) */
void ink_rope_frequencies(float *frequencies, float theta, int head_dim);
/* cosines, sines [head_dim / 2] of position * frequency; position in 0..2^20. */
void ink_rope_angles(float *cosines, float *sines, int position, const float *frequencies,
                     int head_dim);

#endif
