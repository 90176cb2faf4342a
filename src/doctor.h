/* What the files of the doctor share. Nobody else includes this. */
#ifndef INK_DOCTOR_H
#define INK_DOCTOR_H

#include "model.h"

struct ink_doctor {
    ink_report_function *line;
    void *context;
    int n_bad; /* lines that were not ok */
};

/* One line. name and format come from ink_text; the value is cut at 511 bytes. */
void ink_doctor_report(struct ink_doctor *d, bool ok, const char *name, const char *format, ...)
    INK_PRINTF(4, 5);

/* Parts; each reports its lines. A negative status means that the part could not be done. */
int ink_doctor_check_kernels(struct ink_doctor *d, struct ink_error *error);
int ink_doctor_check_files(struct ink_doctor *d, const struct ink_model *m,
                           struct ink_error *error);
int ink_doctor_check_values(struct ink_doctor *d, const struct ink_model *m,
                            struct ink_error *error);
int ink_doctor_check_tokenizer(struct ink_doctor *d, const struct ink_model *m,
                               struct ink_error *error);
int ink_doctor_check_forward(struct ink_doctor *d, struct ink_model *m, struct ink_error *error);
int ink_doctor_check_oracle(struct ink_doctor *d, struct ink_model *m, struct ink_error *error);

#endif
