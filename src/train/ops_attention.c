/* Attention of packed samples. A piece of work is one head of one sample; its queries are taken in
 * blocks, so that a lane works in a few hundred rows of scores, however long the sample. */
#include "ops.h"

#include "fixedmath.h"

#include <math.h>
#include <string.h>

enum { QUERIES = 64 };

size_t ink_attention_scratch(int longest)
{
    return (size_t)2 * QUERIES * (size_t)longest; /* weights and their gradients */
}

/* One head of one sample. */
struct piece {
    int head, begin, length;
    size_t query, key;      /* offsets of its first row in [T, A] and [T, G] */
    size_t width, kv_width; /* A, G */
};

static struct piece piece_at(const struct ink_train_attention *a, int i)
{
    const int sequence = i / a->n_heads, head = i % a->n_heads;
    const int begin = a->batch->begins[sequence];
    struct piece p = {.head = head,
                      .begin = begin,
                      .length = a->batch->begins[sequence + 1] - begin,
                      .width = (size_t)a->n_heads * (size_t)a->head_dim,
                      .kv_width = (size_t)a->n_kv_heads * (size_t)a->head_dim};
    const int kv_head = head / (a->n_heads / a->n_kv_heads);
    p.query = (size_t)begin * p.width + (size_t)head * (size_t)a->head_dim;
    p.key = (size_t)begin * p.kv_width + (size_t)kv_head * (size_t)a->head_dim;
    return p;
}

/* scores [n, seen]: queries from..from+n-1 with keys 0..seen-1, seen = from + n; unmasked, and not
 * scaled yet. */
static void score(const struct ink_train_attention *a, const struct piece *p, float *scores,
                  const float *q, const float *k, int from, int n)
{
    ink_gemm(a->kernels, scores, (size_t)(from + n), 1, q + p->query + (size_t)from * p->width,
             p->width, false, k + p->key, p->kv_width, true, n, from + n, a->head_dim, false);
}

void ink_attention_forward(const struct ink_train_lane *l, const struct ink_train_attention *a,
                           float *out, float *logs, const float *q, const float *k, const float *v)
{
    int begin, end;
    float *scores = a->scratch + (size_t)l->index * a->scratch_floats;
    ink_train_share(l, a->batch->n_sequences * a->n_heads, &begin, &end);
    for (int i = begin; i < end; i++) {
        const struct piece p = piece_at(a, i);
        for (int from = 0; from < p.length; from += QUERIES) {
            const int n = p.length - from < QUERIES ? p.length - from : QUERIES, seen = from + n;
            score(a, &p, scores, q, k, from, n);
            for (int r = 0; r < n; r++) {
                float *row = scores + (size_t)r * (size_t)seen;
                const int mine = from + r + 1;
                float most = -INFINITY;
                double sum = 0;
                for (int j = 0; j < mine; j++) {
                    row[j] *= a->scale;
                    most = row[j] > most ? row[j] : most;
                }
                a->kernels->exp_below(row, row, most, (size_t)mine);
                for (int j = 0; j < mine; j++) {
                    sum += (double)row[j];
                }
                const float by = (float)(1.0 / sum);
                for (int j = 0; j < mine; j++) {
                    row[j] *= by;
                }
                memset(row + mine, 0, (size_t)(seen - mine) * sizeof *row);
                logs[(size_t)(p.begin + from + r) * (size_t)a->n_heads + (size_t)p.head] =
                    most + (float)ink_fixed_log(sum);
            }
            ink_gemm(a->kernels, out + p.query + (size_t)from * p.width, p.width, 1, scores,
                     (size_t)seen, false, v + p.key, p.kv_width, false, n, a->head_dim, seen,
                     false);
        }
    }
}

/* scores become the weights e^(s - log), and dweights [n, seen] their scores' gradients:
 * w * (dw - sum over keys of w dw) * scale, that sum being dout · out. */
static void softmax_backward(const struct ink_train_attention *a, const struct piece *p,
                             float *scores, float *dweights, const float *dout, const float *out,
                             const float *logs, int from, int n)
{
    const int seen = from + n;
    for (int r = 0; r < n; r++) {
        float *restrict w = scores + (size_t)r * (size_t)seen;
        float *restrict dw = dweights + (size_t)r * (size_t)seen;
        const size_t at = p->query + (size_t)(from + r) * p->width;
        const int mine = from + r + 1;
        double dot = 0;
        for (int d = 0; d < a->head_dim; d++) {
            dot += (double)dout[at + (size_t)d] * (double)out[at + (size_t)d];
        }
        for (int j = 0; j < mine; j++) {
            w[j] *= a->scale;
        }
        a->kernels->exp_below(
            w, w, logs[(size_t)(p->begin + from + r) * (size_t)a->n_heads + (size_t)p->head],
            (size_t)mine);
        for (int j = 0; j < mine; j++) {
            dw[j] = w[j] * (dw[j] - (float)dot) * a->scale;
        }
        memset(w + mine, 0, (size_t)(seen - mine) * sizeof *w);
        memset(dw + mine, 0, (size_t)(seen - mine) * sizeof *dw);
    }
}

void ink_attention_backward(const struct ink_train_lane *l, const struct ink_train_attention *a,
                            float *dq, float *dk_heads, float *dv_heads, const float *dout,
                            const float *out, const float *logs, const float *q, const float *k,
                            const float *v)
{
    int begin, end;
    float *scores = a->scratch + (size_t)l->index * a->scratch_floats;
    float *dweights = scores + a->scratch_floats / 2;
    ink_train_share(l, a->batch->n_sequences * a->n_heads, &begin, &end);
    for (int i = begin; i < end; i++) {
        const struct piece p = piece_at(a, i);
        for (int j = 0; j < p.length; j++) {
            const size_t row = p.query + (size_t)j * p.width;
            memset(dk_heads + row, 0, (size_t)a->head_dim * sizeof *dk_heads);
            memset(dv_heads + row, 0, (size_t)a->head_dim * sizeof *dv_heads);
        }
        for (int from = 0; from < p.length; from += QUERIES) {
            const int n = p.length - from < QUERIES ? p.length - from : QUERIES, seen = from + n;
            const size_t at = p.query + (size_t)from * p.width;
            score(a, &p, scores, q, k, from, n);
            ink_gemm(a->kernels, dweights, (size_t)seen, 1, dout + at, p.width, false, v + p.key,
                     p.kv_width, true, n, seen, a->head_dim, false);
            softmax_backward(a, &p, scores, dweights, dout, out, logs, from, n);
            ink_gemm(a->kernels, dv_heads + p.query, p.width, 1, scores, (size_t)seen, true,
                     dout + at, p.width, false, seen, a->head_dim, n, true);
            ink_gemm(a->kernels, dq + at, p.width, 1, dweights, (size_t)seen, false, k + p.key,
                     p.kv_width, false, n, a->head_dim, seen, false);
            ink_gemm(a->kernels, dk_heads + p.query, p.width, 1, dweights, (size_t)seen, true,
                     q + at, p.width, false, seen, a->head_dim, n, true);
        }
    }
}

void ink_attention_gather(const struct ink_train_lane *l, float *dk, const float *dk_heads, int t,
                          int n_heads, int n_kv_heads, int head_dim)
{
    const int group = n_heads / n_kv_heads;
    int begin, end;
    ink_train_share(l, t * n_kv_heads, &begin, &end);
    for (int i = begin; i < end; i++) {
        float *restrict out = dk + (size_t)i * (size_t)head_dim;
        const float *from = dk_heads + (size_t)i * (size_t)group * (size_t)head_dim;
        for (int d = 0; d < head_dim; d++) {
            float sum = from[d];
            for (int h = 1; h < group; h++) {
                sum += from[(size_t)h * (size_t)head_dim + (size_t)d];
            }
            out[d] = sum;
        }
    }
}
