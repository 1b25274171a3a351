/* Samples of one metric of one contestant, and the JSON line they become. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>

struct samples {
    double *values;
    size_t count, capacity;
};

void samples_add(struct samples *samples, double value);
void samples_free(struct samples *samples);

/* Sorts, and interpolates between neighbours; 0 without samples. fraction is 0 to 1. */
double samples_quantile(struct samples *samples, double fraction);

/*
 * {"bench", "contestant", "metric", "unit", "median", "p10", "p90", "min", "n", "ratio_to_samara"}.
 * The ratio is of medians, contestant's to samara's; null where reference is 0. Nothing is printed
 * for a metric without samples.
 */
void samples_print(struct samples *samples, const char *bench, const char *contestant,
                   const char *metric, const char *unit, double reference);

#endif
