/* The scheduler: answers are the same bits as one alone gives, whatever else is asked meanwhile;
 * every choice ends exactly once, whatever happens. */
#include "support.h"

#include "../src/adapter.h"
#include "../src/model.h"
#include "../src/serve/scheduler_internal.h"
#include "../src/system.h"

#include <stdatomic.h>

enum { MOST_TOKENS = 96, MOST_CHOICES = 6, POSITIONS = 700 };

static uint32_t random_of(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static bool is_slow(void)
{
    return is_emulated();
}

/* ------------------------------------------------------------------------ what is to be written */

/* The probes of `n` tokens that begin alike for the same `family`. */
static void fill(int32_t *ids, int n, int family, int from, int seed, int vocab)
{
    uint32_t a = (uint32_t)family * 77 + 1, b = (uint32_t)seed * 991 + 5;
    for (int i = 0; i < n; i++) {
        ids[i] = 3 + (int32_t)((i < from ? random_of(&a) : random_of(&b)) % (uint32_t)(vocab - 3));
    }
}

struct written {
    int32_t ids[4096];
    struct ink_logprob logprobs[MOST_TOKENS];
    int n;
    enum ink_finish why;
};

/* As simple as it can be: one token after another. */
static void write_alone(struct written *out, struct ink_model *m, const struct ink_adapter *adapter,
                        const struct ink_job_request *r, int choice)
{
    struct ink_error error = {0};
    struct ink_session *session;
    struct ink_sampler *sampler;
    struct ink_sampling sampling = r->sampling;
    float *logits = malloc((size_t)m->architecture.vocab_size * sizeof *logits);
    sampling.seed += (uint64_t)choice;
    assert_ok(ink_session_open(&session, m, POSITIONS, INK_KV_F16, &error));
    assert_ok(ink_session_set_adapter(session, adapter, &error));
    assert_ok(ink_sampler_open(&sampler, m, &sampling, &error));
    ink_sampler_accept(sampler, r->prompt, r->n_prompt, true);
    struct ink_step step = {session, r->prompt, r->n_prompt, 1, logits, NULL, 0};
    out->n = 0;
    for (;;) {
        assert_ok(ink_eval(m, &step, 1, NULL, NULL, &error));
        int32_t token = ink_sampler_choose(sampler, logits);
        if (ink_is_end_token(m, token)) {
            out->why = INK_FINISH_STOP;
            break;
        }
        ink_sampler_accept(sampler, &token, 1, false);
        out->ids[out->n++] = token;
        if (out->n == r->max_new_tokens || ink_session_length(session) == POSITIONS) {
            out->why = INK_FINISH_LENGTH;
            break;
        }
        step.tokens = &out->ids[out->n - 1];
        step.n_tokens = 1;
    }
    ink_session_close(session);
    ink_sampler_close(sampler);
    free(logits);
}

/* -------------------------------------------------------------------------------- those who ask */

struct choice {
    int32_t ids[MOST_TOKENS];
    int n, n_finished;
    enum ink_finish why;
    char message[200];
    bool has_bad_logprob;
};

/* Someone who asks. Written on the scheduler's thread, read when all is over. */
struct client {
    struct ink_job_request r;
    int32_t *prompt;
    struct choice choices[MOST_CHOICES];
    int n_started, n_cached, n_over;
    int stop_after;                      /* tokens of a choice; 0: never */
    int gone_after;                      /* calls of is_gone; -1: never */
    int n_asked;                         /* calls of is_gone */
    bool waits_at_start;                 /* until `gate` is opened */
    bool was_late;                       /* something was called after the last choice's end */
    int place;                           /* among those that were begun */
    uint64_t begun_in, gone_in, over_in; /* passes, if `shared` knows the scheduler */
};

static struct {
    struct ink_mutex *lock;
    struct ink_condition *changed;
    int n_finished; /* choices */
    int n_begun;    /* requests */
    bool is_open;   /* the gate */
    bool is_at_gate;
    const struct ink_scheduler *scheduler; /* whose passes are counted; NULL: nobody's */
} shared;

/* On the scheduler's thread. */
static uint64_t passes(void)
{
    return shared.scheduler ? shared.scheduler->n_passes : 0;
}

static bool is_gone(void *context)
{
    struct client *c = context;
    c->was_late |= c->n_over == c->r.n_choices;
    bool is_gone_now = c->gone_after >= 0 && c->n_asked++ >= c->gone_after;
    c->gone_in = is_gone_now ? passes() : 0;
    return is_gone_now;
}

static void started(void *context, int n_cached)
{
    struct client *c = context;
    c->was_late |= c->n_over == c->r.n_choices;
    c->n_started++;
    c->n_cached = n_cached;
    c->begun_in = passes();
    ink_mutex_lock(shared.lock);
    c->place = shared.n_begun++;
    while (c->waits_at_start && !shared.is_open) {
        shared.is_at_gate = true;
        ink_condition_wake_all(shared.changed);
        ink_condition_wait(shared.changed, shared.lock);
    }
    ink_mutex_unlock(shared.lock);
}

static bool token(void *context, const struct ink_job_token *t)
{
    struct client *c = context;
    struct choice *choice = &c->choices[t->choice];
    c->was_late |= c->n_over == c->r.n_choices || choice->n_finished > 0;
    if (c->r.n_logprobs >= 0) {
        choice->has_bad_logprob |=
            t->logprob.token != t->id || !(t->logprob.logprob <= 0) || t->n_top != c->r.n_logprobs;
        for (int i = 1; i < t->n_top; i++) {
            choice->has_bad_logprob |= t->top[i].logprob > t->top[i - 1].logprob;
        }
    }
    choice->ids[choice->n++] = t->id;
    return c->stop_after == 0 || choice->n < c->stop_after;
}

static void finished(void *context, int choice, enum ink_finish why, const char *message)
{
    struct client *c = context;
    c->was_late |= c->n_over == c->r.n_choices;
    c->choices[choice].n_finished++;
    c->choices[choice].why = why;
    snprintf(c->choices[choice].message, sizeof c->choices[choice].message, "%s",
             message ? message : "");
    c->over_in = passes();
    ink_mutex_lock(shared.lock);
    c->n_over++;
    shared.n_finished++;
    ink_condition_wake_all(shared.changed);
    ink_mutex_unlock(shared.lock);
}

static const struct ink_sampling greedy = {.top_p = 1, .repetition_penalty = 1};

static struct client *new_client(int family, int n_prompt, int from, int seed, int vocab)
{
    struct client *c = calloc(1, sizeof *c);
    c->prompt = malloc((size_t)n_prompt * sizeof *c->prompt);
    fill(c->prompt, n_prompt, family, from, seed, vocab);
    c->gone_after = -1;
    c->r = (struct ink_job_request){
        .prompt = c->prompt,
        .n_prompt = n_prompt,
        .n_choices = 1,
        .max_new_tokens = 20,
        .sampling = greedy,
        .n_logprobs = -1,
        .arrived = ink_system_seconds(),
        .is_gone = is_gone,
        .started = started,
        .token = token,
        .finished = finished,
        .context = c,
    };
    return c;
}

static void free_client(struct client *c)
{
    free(c->prompt);
    free(c);
}

static void wait_for(int n_finished)
{
    ink_mutex_lock(shared.lock);
    while (shared.n_finished < n_finished) {
        ink_condition_wait(shared.changed, shared.lock);
    }
    ink_mutex_unlock(shared.lock);
}

static void wait_at_gate(void)
{
    ink_mutex_lock(shared.lock);
    while (!shared.is_at_gate) {
        ink_condition_wait(shared.changed, shared.lock);
    }
    ink_mutex_unlock(shared.lock);
}

static void open_gate(void)
{
    ink_mutex_lock(shared.lock);
    shared.is_open = true;
    ink_condition_wake_all(shared.changed);
    ink_mutex_unlock(shared.lock);
}

static void assert_finished_once(const struct client *c)
{
    assert_false(c->was_late);
    assert_int_equal(c->n_over, c->r.n_choices);
    for (int i = 0; i < c->r.n_choices; i++) {
        assert_int_equal(c->choices[i].n_finished, 1);
        assert_false(c->choices[i].has_bad_logprob);
    }
}

/* What it got is what one alone gets; of those who left or were stopped, as much as there is. */
static void assert_same_bits(const struct client *c, struct ink_model *m,
                             const struct ink_adapter *const *adapters)
{
    static struct written wanted;
    assert_finished_once(c);
    for (int i = 0; i < c->r.n_choices; i++) {
        const struct choice *got = &c->choices[i];
        write_alone(&wanted, m, c->r.variant ? adapters[c->r.variant - 1] : NULL, &c->r, i);
        if (c->stop_after > 0 && wanted.n >= c->stop_after) {
            wanted.n = c->stop_after;
            wanted.why = INK_FINISH_STOP;
        }
        bool is_whole = got->why == INK_FINISH_STOP || got->why == INK_FINISH_LENGTH;
        assert_true(got->n <= wanted.n);
        assert_memory_equal(got->ids, wanted.ids, (size_t)got->n * sizeof *got->ids);
        if (is_whole) {
            assert_int_equal(got->n, wanted.n);
            assert_int_equal(got->why, wanted.why);
        }
    }
}

/* -------------------------------------------------------------------------------- the scheduler */

struct stage {
    struct ink_model *model;
    struct ink_adapter *adapters[2];
    struct ink_scheduler *scheduler;
    struct ink_metrics *metrics; /* NULL: none */
    int vocab;
};

/* Small, so that much can be asked of it. */
static void open_model(struct stage *s)
{
    *s = (struct stage){.model = open_model_at(shared_path("fixtures/odd-f16"), 1, NULL)};
    s->vocab = s->model->architecture.vocab_size;
}

static void open_model_with_adapters(struct stage *s)
{
    static const char *const names[] = {"adapters/ernie-all-r8", "adapters/ernie-qv-r4-rslora"};
    struct ink_error error = {0};
    s->model = open_model_at(shared_path("fixtures/ernie-tiny"), 1, NULL);
    s->vocab = s->model->architecture.vocab_size;
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        assert_ok(ink_adapter_open(&s->adapters[i], s->model, shared_path(names[i]), 1, &error));
    }
}

static void close_model(struct stage *s)
{
    ink_adapter_close(s->adapters[0]);
    ink_adapter_close(s->adapters[1]);
    ink_model_close(s->model);
}

static struct ink_scheduler_options options_of(const struct stage *s, int n_slots, int n_queued,
                                               uint64_t prefix_bytes)
{
    return (struct ink_scheduler_options){
        .n_slots = n_slots,
        .n_queued = n_queued,
        .n_positions = POSITIONS,
        .kv_type = INK_KV_F16,
        .prefix_bytes = prefix_bytes,
        .adapters = (const struct ink_adapter *const *)s->adapters,
        .n_adapters = s->adapters[0] ? 2 : 0,
    };
}

static void open_scheduler(struct stage *s, int n_slots, int n_queued, uint64_t prefix_bytes)
{
    struct ink_error error = {0};
    const struct ink_scheduler_options options = options_of(s, n_slots, n_queued, prefix_bytes);
    assert_ok(ink_scheduler_open(&s->scheduler, s->model, &options, &error));
    shared.n_finished = shared.n_begun = 0;
    shared.scheduler = NULL;
    shared.is_open = shared.is_at_gate = false;
}

static enum ink_admission submit(struct stage *s, struct client *c)
{
    int retry_after;
    return ink_scheduler_submit(s->scheduler, &c->r, 1, &retry_after);
}

static int load_of(struct stage *s)
{
    int n_running, n_queued;
    int n = ink_scheduler_load(s->scheduler, &n_running, &n_queued);
    assert_true(n_running >= 0 && n_queued >= 0);
    return n;
}

/* Until the counts show that the last answer has ended. */
static void wait_until_idle(struct stage *s)
{
    while (load_of(s) > 0) {
        ink_sleep(0.0005);
    }
}

/* -------------------------------------------------------------------------------------- any mix */

enum { ASKERS = 3, EACH = 5 };

struct asker {
    struct stage *stage;
    struct client *clients[EACH];
    struct ink_thread *thread;
    uint32_t random;
    int n_refused;
};

static struct client *random_client(struct asker *a)
{
    uint32_t *r = &a->random;
    int n_prompt = 1 + (int)(random_of(r) % (random_of(r) % 4 == 0 ? 300 : 90));
    struct client *c = new_client((int)(random_of(r) % 2), n_prompt, (int)(random_of(r) % 200),
                                  (int)(random_of(r) % 5), a->stage->vocab);
    c->r.n_choices = random_of(r) % 3 == 0 ? 1 + (int)(random_of(r) % MOST_CHOICES) : 1;
    c->r.max_new_tokens = 1 + (int)(random_of(r) % 40);
    c->r.n_logprobs = random_of(r) % 3 == 0 ? (int)(random_of(r) % 6) : -1;
    c->r.variant = a->stage->adapters[0] ? (int)(random_of(r) % 3) : 0;
    c->stop_after = random_of(r) % 4 == 0 ? 1 + (int)(random_of(r) % 10) : 0;
    c->gone_after = random_of(r) % 5 == 0 ? (int)(random_of(r) % 30) : -1;
    if (random_of(r) % 2 == 0) {
        c->r.sampling = (struct ink_sampling){.temperature = 0.9F,
                                              .top_k = random_of(r) % 2 ? 40 : 0,
                                              .top_p = 0.95F,
                                              .repetition_penalty = 1.1F,
                                              .presence_penalty = random_of(r) % 2 ? 0.5F : 0,
                                              .seed = random_of(r)};
    }
    return c;
}

static void ask(void *context)
{
    struct asker *a = context;
    for (int i = 0; i < EACH; i++) {
        a->clients[i] = random_client(a);
    }
    for (int i = 0; i < EACH; i++) {
        while (submit(a->stage, a->clients[i]) != INK_ADMITTED) {
            a->n_refused++;
            ink_sleep(0.001);
        }
        if (i % 2) {
            ink_sleep(0.002 * (random_of(&a->random) % 8));
        }
    }
}

static void mix(struct stage *s, int n_slots, int n_queued, uint64_t prefix_bytes, uint32_t seed)
{
    struct asker askers[ASKERS] = {0};
    struct ink_error error = {0};
    int n = 0;
    open_scheduler(s, n_slots, n_queued, prefix_bytes);
    for (int i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){.stage = s, .random = seed * 100 + (uint32_t)i};
        assert_ok(ink_thread_start(&askers[i].thread, ask, &askers[i], &error));
    }
    for (int i = 0; i < ASKERS; i++) {
        ink_thread_join(askers[i].thread);
        for (int j = 0; j < EACH; j++) {
            n += askers[i].clients[j]->r.n_choices;
        }
    }
    wait_for(n);
    wait_until_idle(s);
    ink_scheduler_close(s->scheduler);
    for (int i = 0; i < ASKERS * EACH; i++) {
        struct client *c = askers[i / EACH].clients[i % EACH];
        assert_same_bits(c, s->model, (const struct ink_adapter *const *)s->adapters);
        free_client(c);
    }
}

static void same_bits_in_any_mix(void **state)
{
    (void)state;
    struct stage s;
    open_model(&s);
    struct ink_session *session = open_session(s.model, INK_KV_F16);
    uint64_t block = ink_session_block_bytes(session);
    ink_session_close(session);
    static const int slots[] = {1, 2, 3, 5, 8};
    for (size_t i = 0; i < INK_COUNT(slots); i++) {
        if (i % 2 == 0 || !is_slow()) {
            mix(&s, slots[i], 100, 0, (uint32_t)i + 1);
        }
        if (!is_slow()) {
            mix(&s, slots[i], 3, 3 * block, (uint32_t)i + 11);
            mix(&s, slots[i], 100, 4 << 20, (uint32_t)i + 21);
        }
    }
    close_model(&s);
}

static void same_bits_with_adapters(void **state)
{
    (void)state;
    struct stage s;
    open_model_with_adapters(&s);
    mix(&s, 3, 100, 1 << 20, 31);
    close_model(&s);
}

/* ------------------------------------------------------------------------------------ admission */

static void full_and_draining(void **state)
{
    (void)state;
    struct stage s;
    int retry_after;
    open_model(&s);
    open_scheduler(&s, 1, 2, 0);
    struct client *c[6];
    for (int i = 0; i < 6; i++) {
        c[i] = new_client(i, 40, 40, 0, s.vocab);
    }
    c[0]->waits_at_start = true;
    assert_int_equal(submit(&s, c[0]), INK_ADMITTED);
    wait_at_gate();
    assert_int_equal(submit(&s, c[1]), INK_ADMITTED);
    c[2]->r.n_choices = 2; /* all choices have room, or none */
    assert_int_equal(ink_scheduler_submit(s.scheduler, &c[2]->r, 1, &retry_after),
                     INK_ADMISSION_FULL);
    assert_in_range(retry_after, 1, 60);
    const struct ink_job_request two[] = {c[3]->r, c[4]->r};
    assert_int_equal(ink_scheduler_submit(s.scheduler, two, 2, &retry_after), INK_ADMISSION_FULL);
    assert_int_equal(load_of(&s), 2);
    assert_int_equal(submit(&s, c[3]), INK_ADMITTED);
    assert_int_equal(submit(&s, c[4]), INK_ADMISSION_FULL);
    ink_scheduler_drain(s.scheduler);
    assert_int_equal(submit(&s, c[5]), INK_ADMISSION_DRAINING);
    open_gate();
    wait_for(3);
    wait_until_idle(&s);
    assert_int_equal(submit(&s, c[5]), INK_ADMISSION_DRAINING);
    ink_scheduler_close(s.scheduler);
    for (int i = 0; i < 6; i++) {
        if (i == 0 || i == 1 || i == 3) {
            assert_same_bits(c[i], s.model, NULL);
        } else {
            assert_int_equal(c[i]->n_over, 0);
        }
        free_client(c[i]);
    }
    close_model(&s);
}

/* Nobody is overtaken, however long the prompts are, and whoever is refused meanwhile. */
static void first_come_first_served(void **state)
{
    (void)state;
    enum { N = 9 };
    struct stage s;
    open_model(&s);
    for (int slots = 1; slots <= 3; slots++) {
        struct client *c[N], *refused = new_client(0, 5, 5, 0, s.vocab);
        int n_choices = 0;
        for (int i = 0; i < N; i++) {
            c[i] = new_client(i, i % 2 ? 10 : 300, 300, i, s.vocab);
            c[i]->r.n_choices = 1 + i % 3;
            c[i]->r.max_new_tokens = 1 + 5 * (i % 4);
            n_choices += c[i]->r.n_choices;
        }
        open_scheduler(&s, slots, n_choices - slots, slots == 2 ? 1 << 20 : 0);
        c[0]->waits_at_start = true;
        assert_int_equal(submit(&s, c[0]), INK_ADMITTED);
        wait_at_gate();
        for (int i = 1; i < N; i++) {
            assert_int_equal(submit(&s, c[i]), INK_ADMITTED);
        }
        assert_int_equal(submit(&s, refused), INK_ADMISSION_FULL);
        open_gate();
        wait_for(n_choices);
        ink_scheduler_close(s.scheduler);
        for (int i = 0; i < N; i++) {
            assert_int_equal(c[i]->place, i);
            assert_same_bits(c[i], s.model, NULL);
            free_client(c[i]);
        }
        free_client(refused);
    }
    close_model(&s);
}

/* One who asks one thing after another is never told that the server is full of himself. */
static void one_after_another(void **state)
{
    (void)state;
    struct stage s;
    open_model(&s);
    open_scheduler(&s, 1, 0, 1 << 20);
    for (int i = 0; i < (is_slow() ? 20 : 300); i++) {
        struct client *c = new_client(0, 5, 5, i, s.vocab);
        c->r.max_new_tokens = 1;
        assert_int_equal(submit(&s, c), INK_ADMITTED);
        wait_for(i + 1);
        free_client(c);
    }
    ink_scheduler_close(s.scheduler);
    close_model(&s);
}

/* More choices than there is room for are taken when nothing else is there, one after another. */
static void more_choices_than_room(void **state)
{
    (void)state;
    struct stage s;
    open_model(&s);
    open_scheduler(&s, 2, 0, 0);
    struct client *c = new_client(0, 70, 70, 0, s.vocab);
    c->r.n_choices = MOST_CHOICES;
    c->r.sampling.temperature = 1;
    assert_int_equal(submit(&s, c), INK_ADMITTED);
    wait_for(MOST_CHOICES);
    ink_scheduler_close(s.scheduler);
    assert_same_bits(c, s.model, NULL);
    free_client(c);
    close_model(&s);
}

/* ----------------------------------------------------------------------------------------- ends */

/* One of three leaves, at every place in turn: waiting, while its prompt is read, while it is
 * written, at the last token. */
static void leaving(void **state)
{
    (void)state;
    struct stage s;
    open_model(&s);
    int n_cancelled = 0, n_whole = 0, n_unbegun = 0;
    for (int slots = 1; slots <= 3; slots += 2) {
        for (int when = 0; when < 45; when += is_slow() ? 9 : 1 + when / 12) {
            open_scheduler(&s, slots, 10, when % 2 ? 1 << 20 : 0);
            struct client *c[3] = {new_client(1, 100, 100, 0, s.vocab),
                                   new_client(1, 600, 90, 1, s.vocab),
                                   new_client(2, 30, 30, 2, s.vocab)};
            c[1]->gone_after = when;
            c[1]->r.n_choices = 1 + when % 2;
            c[1]->r.max_new_tokens = 8;
            for (int i = 0; i < 3; i++) {
                assert_int_equal(submit(&s, c[i]), INK_ADMITTED);
            }
            wait_for(2 + c[1]->r.n_choices);
            wait_until_idle(&s);
            ink_scheduler_close(s.scheduler);
            for (int i = 0; i < 3; i++) {
                assert_same_bits(c[i], s.model, NULL);
                assert_true(i == 1 || c[i]->choices[0].why != INK_FINISH_CANCELLED);
            }
            for (int i = 0; i < c[1]->r.n_choices; i++) {
                bool is_left = c[1]->choices[i].why == INK_FINISH_CANCELLED;
                n_cancelled += is_left;
                n_whole += !is_left;
            }
            n_unbegun += c[1]->n_started == 0;
            for (int i = 0; i < 3; i++) {
                free_client(c[i]);
            }
        }
    }
    assert_true(n_cancelled > 5 && n_unbegun > 0 && n_whole > 0);
    close_model(&s);
}

/* Who leaves gets no further token, and his slot goes to the next without a pass in between. */
static void a_slot_is_free_at_once(void **state)
{
    (void)state;
    struct stage s;
    open_model(&s);
    int n_cancelled = 0;
    for (int when = 1; when < 30; when += is_slow() ? 7 : 1) {
        struct client *c[2] = {new_client(0, 520, 520, when, s.vocab),
                               new_client(1, 20, 20, when, s.vocab)};
        open_scheduler(&s, 1, 4, 0);
        c[0]->gone_after = when;
        c[0]->waits_at_start = true;
        assert_int_equal(submit(&s, c[0]), INK_ADMITTED);
        wait_at_gate();
        shared.scheduler = s.scheduler; /* its thread waits at the gate */
        assert_int_equal(submit(&s, c[1]), INK_ADMITTED);
        open_gate();
        wait_for(2);
        ink_scheduler_close(s.scheduler);
        if (c[0]->choices[0].why == INK_FINISH_CANCELLED) {
            n_cancelled++;
            assert_true(c[0]->gone_in > 0 && c[0]->over_in == c[0]->gone_in);
            assert_true(c[1]->begun_in == c[0]->over_in);
        }
        for (int i = 0; i < 2; i++) {
            assert_same_bits(c[i], s.model, NULL);
            free_client(c[i]);
        }
    }
    assert_true(n_cancelled > 2);
    shared.scheduler = NULL;
    close_model(&s);
}

/* All that is left ends, once, and nothing is called later. */
static void shutting_down(void **state)
{
    (void)state;
    struct stage s;
    open_model(&s);
    int n_shut = 0, n_whole = 0;
    for (int i = 0; i < (is_slow() ? 4 : 30); i++) {
        struct client *c[8];
        int n = 0;
        open_scheduler(&s, 1 + i % 4, 100, 1 << 20);
        for (int j = 0; j < 8; j++) {
            c[j] = new_client(j % 3, 20 + 60 * (j % 4), 60, j, s.vocab);
            c[j]->r.n_choices = 1 + j % 3;
            n += c[j]->r.n_choices;
            assert_int_equal(submit(&s, c[j]), INK_ADMITTED);
        }
        ink_sleep(0.0015 * i);
        if (i % 2) {
            ink_scheduler_cancel(s.scheduler);
            assert_int_equal(submit(&s, c[0]), INK_ADMISSION_DRAINING);
            wait_for(n);
        }
        ink_scheduler_close(s.scheduler);
        assert_int_equal(shared.n_finished, n);
        for (int j = 0; j < 8; j++) {
            assert_same_bits(c[j], s.model, NULL);
            for (int k = 0; k < c[j]->r.n_choices; k++) {
                n_shut += c[j]->choices[k].why == INK_FINISH_SHUTDOWN;
                n_whole += c[j]->choices[k].why == INK_FINISH_LENGTH;
            }
            free_client(c[j]);
        }
    }
    assert_true(n_shut > 0);
    (void)n_whole;
    ink_scheduler_close(NULL);
    close_model(&s);
}

/* A request that cannot be begun fails by itself. */
static void failing_requests(void **state)
{
    (void)state;
    struct stage s;
    open_model(&s);
    open_scheduler(&s, 2, 100, 0);
    struct client *c[4];
    for (int i = 0; i < 4; i++) {
        c[i] = new_client(i, i == 1 ? POSITIONS + 1 : 30, 30, 0, s.vocab);
        c[i]->r.n_choices = 1 + i;
    }
    c[2]->r.sampling.temperature = -1;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(submit(&s, c[i]), INK_ADMITTED);
    }
    wait_for(1 + 2 + 3 + 4);
    for (int i = 1; i < 3; i++) {
        for (int k = 0; k < c[i]->r.n_choices; k++) {
            assert_int_equal(c[i]->choices[k].why, INK_FINISH_FAILED);
            assert_true(c[i]->choices[k].message[0] != '\0');
        }
    }
    wait_until_idle(&s);
    /* what took no time says nothing of how long others take */
    ink_mutex_lock(s.scheduler->lock);
    assert_true(s.scheduler->job_seconds < 60);
    ink_mutex_unlock(s.scheduler->lock);
    ink_scheduler_close(s.scheduler);
    for (int i = 0; i < 4; i++) {
        assert_finished_once(c[i]);
        free_client(c[i]);
    }
    close_model(&s);
}

static void every_allocation(void **state)
{
    (void)state;
    struct stage s;
    struct ink_error error = {0};
    open_model(&s);
    const struct ink_scheduler_options options = options_of(&s, 3, 10, 1 << 20);
    long n = 1;
    for (;; n++) {
        ink_fail_allocation(n, true);
        int status = ink_scheduler_open(&s.scheduler, s.model, &options, &error);
        ink_fail_allocation(0, false);
        if (status == INK_OK) {
            break;
        }
        assert_int_equal(status, INK_ERROR_MEMORY);
        assert_null(s.scheduler);
    }
    assert_true(n > 20);
    struct client *c = new_client(0, 30, 30, 0, s.vocab);
    ink_fail_allocation(1, true);
    assert_int_equal(submit(&s, c), INK_ADMISSION_MEMORY);
    ink_fail_allocation(0, false);
    assert_int_equal(c->n_over, 0);
    free_client(c);
    /* and one on the way: the answer fails, or there is no difference */
    int n_failed = 0;
    shared.n_finished = 0;
    for (n = 2; n < 20; n++) {
        c = new_client(0, 90, 90, (int)n, s.vocab);
        c->r.n_choices = 1 + (int)n % 2;
        wait_until_idle(&s);
        int before = shared.n_finished;
        ink_fail_allocation(n, false);
        assert_int_equal(submit(&s, c), INK_ADMITTED);
        wait_for(before + c->r.n_choices);
        wait_until_idle(&s);
        ink_fail_allocation(0, false);
        assert_same_bits(c, s.model, NULL);
        n_failed += c->choices[0].why == INK_FINISH_FAILED;
        free_client(c);
    }
    assert_true(n_failed > 0);
    ink_scheduler_close(s.scheduler);
    close_model(&s);
}

/* ------------------------------------------------------------------------ what need not be read */

static struct {
    struct ink_scheduler *scheduler;
    uint64_t pass;
    int n_read; /* tokens of prompts, of all passes so far */
} counted;

/* On the scheduler's thread, once a pass at least. */
static bool count_reading(void *context)
{
    (void)context;
    if (counted.scheduler && counted.pass != counted.scheduler->n_passes) {
        counted.pass = counted.scheduler->n_passes;
        counted.n_read += counted.scheduler->n_prompt;
    }
    return false;
}

static void choices_share_the_prompt(void **state)
{
    (void)state;
    struct stage s;
    open_model(&s);
    for (int with_cache = 0; with_cache < 2; with_cache++) {
        for (int n_prompt = 1; n_prompt < 400; n_prompt = n_prompt * 2 + 1) {
            open_scheduler(&s, 4, 10, with_cache ? 4 << 20 : 0);
            struct client *c = new_client(0, n_prompt, n_prompt, 0, s.vocab);
            counted.scheduler = s.scheduler;
            counted.pass = 0;
            counted.n_read = 0;
            c->r.is_gone = count_reading;
            c->r.n_choices = 4;
            assert_int_equal(submit(&s, c), INK_ADMITTED);
            wait_for(4);
            ink_scheduler_close(s.scheduler);
            assert_same_bits(c, s.model, NULL);
            assert_int_equal(c->n_started, 1);
            assert_int_equal(c->n_cached, 0);
            assert_in_range(counted.n_read, n_prompt, n_prompt + 3 * INK_BLOCK);
            free_client(c);
        }
    }
    close_model(&s);
}

/* The second time, all but the last block; with less than that in common, whole blocks of it. */
static void prefixes_are_not_read_again(void **state)
{
    (void)state;
    struct stage s;
    open_model_with_adapters(&s);
    for (int slots = 1; slots <= 2; slots++) {
        open_scheduler(&s, slots, 10, 4 << 20);
        static const struct {
            int family, n_prompt, from, variant, least;
        } asked[] = {{0, 200, 200, 0, 0},   {1, 200, 200, 0, 0},   {2, 200, 200, 0, 0},
                     {0, 200, 200, 0, 192}, {0, 300, 150, 0, 128}, {0, 200, 200, 1, 0},
                     {1, 192, 192, 0, 160}, {0, 200, 200, 1, 192}, {2, 20, 20, 0, 0}};
        for (size_t i = 0; i < INK_COUNT(asked); i++) {
            struct client *c =
                new_client(asked[i].family, asked[i].n_prompt, asked[i].from, (int)i, s.vocab);
            c->r.variant = asked[i].variant;
            assert_int_equal(submit(&s, c), INK_ADMITTED);
            wait_for((int)i + 1);
            if (c->n_cached < asked[i].least || c->n_cached >= c->r.n_prompt ||
                (asked[i].least == 0 && asked[i].n_prompt == 200 && c->n_cached > 0)) {
                fail_msg("request %d: %d cached", (int)i, c->n_cached);
            }
            assert_same_bits(c, s.model, (const struct ink_adapter *const *)s.adapters);
            free_client(c);
        }
        ink_scheduler_close(s.scheduler);
    }
    close_model(&s);
}

/* ----------------------------------------------------------------------------------------- pace */

struct stream {
    atomic_int n_tokens;
    atomic_bool is_over;
    int at_start, at_first; /* tokens of the other when the prompt's reading began, and ended */
    struct stream *other;
    int n_finished;
};

static bool stays(void *context)
{
    (void)context;
    return false;
}

static void note_begin(void *context, int n_cached)
{
    struct stream *s = context;
    (void)n_cached;
    s->at_start = s->other ? s->other->n_tokens : 0;
}

static bool count_token(void *context, const struct ink_job_token *t)
{
    struct stream *s = context;
    (void)t;
    if (s->n_tokens++ == 0) {
        s->at_first = s->other ? s->other->n_tokens : 0;
    }
    return !s->is_over;
}

static void note_end(void *context, int choice, enum ink_finish why, const char *message)
{
    struct stream *s = context;
    (void)choice, (void)why, (void)message;
    s->n_finished++;
    ink_mutex_lock(shared.lock);
    shared.n_finished++;
    ink_condition_wake_all(shared.changed);
    ink_mutex_unlock(shared.lock);
}

/* While a prompt of 3,500 tokens is read, another's answer goes on: a token a pass. */
static void long_prompts_hold_nobody_up(void **state)
{
    (void)state;
    struct stage s;
    enum { LONG = 3500 };
    static int32_t prompt[LONG];
    struct ink_error error = {0};
    open_model(&s);
    s.model->architecture.n_end_tokens = 0; /* the answer goes on as long as it is let */
    struct ink_scheduler_options options = options_of(&s, 2, 10, 0);
    options.n_positions = 4096;
    assert_ok(ink_scheduler_open(&s.scheduler, s.model, &options, &error));
    shared.n_finished = 0;
    fill(prompt, LONG, 0, LONG, 0, s.vocab);
    struct stream runs = {0}, reads = {.other = &runs};
    struct ink_job_request r = {.prompt = prompt,
                                .n_prompt = 8,
                                .n_choices = 1,
                                .max_new_tokens = 4000,
                                .sampling = {.temperature = 2, .top_p = 1, .repetition_penalty = 1},
                                .n_logprobs = -1,
                                .is_gone = stays,
                                .started = note_begin,
                                .token = count_token,
                                .finished = note_end,
                                .context = &runs};
    int retry_after;
    assert_int_equal(ink_scheduler_submit(s.scheduler, &r, 1, &retry_after), INK_ADMITTED);
    while (runs.n_tokens < 3) {
        ink_sleep(0.0005);
    }
    r.n_prompt = LONG;
    r.max_new_tokens = 2;
    r.context = &reads;
    assert_int_equal(ink_scheduler_submit(s.scheduler, &r, 1, &retry_after), INK_ADMITTED);
    wait_for(1);
    runs.is_over = true;
    wait_for(2);
    ink_scheduler_close(s.scheduler);
    assert_int_equal(runs.n_finished + reads.n_finished, 2);
    if (runs.n_tokens > 3000) {
        printf("# the answer had ended before the prompt was read\n");
    } else {
        assert_true(reads.at_first - reads.at_start >= LONG / 256);
    }
    close_model(&s);
}

/* Requests that arrive together, with a metric of how many passes they took in all. */
static double submit_together(struct stage *s, const struct ink_job_request *requests, int n)
{
    int retry_after;
    shared.n_finished = 0;
    double before = ink_metrics_get(s->metrics, INK_METRIC_STEPS);
    assert_int_equal(ink_scheduler_submit(s->scheduler, requests, n, &retry_after), INK_ADMITTED);
    wait_for(n);
    return ink_metrics_get(s->metrics, INK_METRIC_STEPS) - before;
}

static void open_long_scheduler(struct stage *s, int n_slots)
{
    struct ink_error error = {0};
    struct ink_scheduler_options options = options_of(s, n_slots, 10, 0);
    options.n_positions = 4096;
    options.metrics = s->metrics;
    assert_ok(ink_scheduler_open(&s->scheduler, s->model, &options, &error));
}

static struct ink_job_request long_request(struct stream *stream, const int32_t *prompt, int n)
{
    return (struct ink_job_request){
        .prompt = prompt,
        .n_prompt = n,
        .n_choices = 1,
        .max_new_tokens = 1,
        .sampling = {.top_p = 1, .repetition_penalty = 1},
        .n_logprobs = -1,
        .is_gone = stays,
        .started = note_begin,
        .token = count_token,
        .finished = note_end,
        .context = stream,
    };
}

static void short_prompts_do_not_wait_for_long_ones(void **state)
{
    (void)state;
    struct stage s;
    enum { LONG = 3500 };
    static int32_t prompts[2][LONG];
    open_model(&s);
    s.metrics = ink_metrics_new();
    open_long_scheduler(&s, 2);
    fill(prompts[0], LONG, 0, LONG, 0, s.vocab);
    fill(prompts[1], LONG, 1, LONG, 1, s.vocab);
    struct stream small = {0}, large = {.other = &small};
    const struct ink_job_request requests[] = {long_request(&large, prompts[0], LONG),
                                               long_request(&small, prompts[1], 40)};
    submit_together(&s, requests, 2);
    /* the other's tokens, when the long prompt's first token came */
    assert_int_equal(large.at_first, 1);
    ink_scheduler_close(s.scheduler);
    ink_metrics_free(s.metrics);
    close_model(&s);
}

static void what_several_read_is_read_once(void **state)
{
    (void)state;
    struct stage s;
    enum { LONG = 3000, N = 4 };
    static int32_t prompts[N][LONG];
    struct stream streams[N] = {{0}};
    struct ink_job_request requests[N];
    open_model(&s);
    s.metrics = ink_metrics_new();
    for (int together = 0; together < 2; together++) {
        open_long_scheduler(&s, N);
        for (int i = 0; i < N; i++) {
            int own = together ? 20 : LONG; /* tokens at the end that the others do not have */
            fill(prompts[i], LONG, together ? 0 : i, LONG - own, i, s.vocab);
            requests[i] = long_request(&streams[i], prompts[i], LONG);
        }
        double passes = submit_together(&s, requests, N);
        int least = LONG / 256;
        assert_true(together ? passes <= least + 6 : passes >= N * least);
        ink_scheduler_close(s.scheduler);
    }
    ink_metrics_free(s.metrics);
    close_model(&s);
}

static struct ink_pace open_pace(int n_slots)
{
    struct ink_error error = {0};
    struct ink_pace pace;
    assert_ok(ink_pace_open(&pace, n_slots, &error));
    return pace;
}

/* Passes that take `fixed` seconds, `decode` more for each answer and `prompt` for each token of a
 * prompt (the first of a pass that reads nothing else is in `fixed`). */
static double pass_seconds(double fixed, double decode, double prompt, int n_decode, int n_prompt)
{
    return n_decode > 0 ? fixed + decode * (n_decode - 1) + prompt * n_prompt
                        : fixed + prompt * (n_prompt - 1);
}

static void pace_keeps_its_promise(void **state)
{
    (void)state;
    static const double prompts[] = {1e-5, 1e-4, 1e-3, 5e-3};
    for (size_t p = 0; p < INK_COUNT(prompts); p++) {
        struct ink_pace pace = open_pace(8);
        uint32_t random = 3;
        const double fixed = 0.02, decode = 0.002;
        assert_true(ink_pace_budget(&pace, 0) > 0 && ink_pace_budget(&pace, 8) > 0);
        for (int i = 0; i < 2000; i++) {
            int n_decode = (int)(random_of(&random) % 9);
            int budget = ink_pace_budget(&pace, n_decode);
            assert_in_range(budget, 1, 256);
            /* many prompts are short, or nearly all of them is cached */
            int n_prompt = random_of(&random) % 2 ? 0 : 1 + (int)(random_of(&random) % 3);
            n_prompt = random_of(&random) % 4 ? n_prompt : budget;
            n_prompt = n_decode == 0 && n_prompt == 0 ? 1 : n_prompt;
            double noise = 0.95 + 0.1 * (random_of(&random) % 100) / 100;
            double seconds = pass_seconds(fixed, decode, prompts[p], n_decode, n_prompt);
            ink_pace_note(&pace, n_decode, n_prompt, seconds * noise);
        }
        for (int n = 1; n <= 8; n++) {
            int budget = ink_pace_budget(&pace, n);
            double alone = pass_seconds(fixed, decode, prompts[p], n, 0);
            double both = pass_seconds(fixed, decode, prompts[p], n, budget);
            if (budget > 4 && both > 3 * alone) {
                fail_msg("%d answers, %g s a token: %d tokens are read", n, prompts[p], budget);
            }
            /* and it is not all given to the answers either */
            if (both < 1.3 * alone && budget < 100) {
                fail_msg("%d answers, %g s a token: only %d tokens", n, prompts[p], budget);
            }
        }
        ink_pace_close(&pace);
    }
}

/* ----------------------------------------------------------------------------------------- main */

static int open_shared(void **state)
{
    (void)state;
    shared.lock = ink_mutex_new();
    shared.changed = ink_condition_new();
    return !shared.lock || !shared.changed;
}

static int close_shared(void **state)
{
    (void)state;
    ink_condition_free(shared.changed);
    ink_mutex_free(shared.lock);
    return 0;
}

int main(void)
{
    if (is_emulated()) {
        puts("1..0 # SKIP an emulated processor: nothing of this depends on it");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_in_any_mix),
        cmocka_unit_test(same_bits_with_adapters),
        cmocka_unit_test(full_and_draining),
        cmocka_unit_test(first_come_first_served),
        cmocka_unit_test(one_after_another),
        cmocka_unit_test(more_choices_than_room),
        cmocka_unit_test(leaving),
        cmocka_unit_test(a_slot_is_free_at_once),
        cmocka_unit_test(shutting_down),
        cmocka_unit_test(failing_requests),
        cmocka_unit_test(every_allocation),
        cmocka_unit_test(choices_share_the_prompt),
        cmocka_unit_test(prefixes_are_not_read_again),
        cmocka_unit_test(long_prompts_hold_nobody_up),
        cmocka_unit_test(short_prompts_do_not_wait_for_long_ones),
        cmocka_unit_test(what_several_read_is_read_once),
        cmocka_unit_test(pace_keeps_its_promise),
    };
    return cmocka_run_group_tests(tests, open_shared, close_shared);
}
