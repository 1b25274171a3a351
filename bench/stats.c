#include "stats.h"

#include <stdio.h>
#include <stdlib.h>

void samples_add(struct samples *samples, double value)
{
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity ? 2 * samples->capacity : 64;
        samples->values = realloc(samples->values, samples->capacity * sizeof(double));
        if (!samples->values)
            abort();
    }
    samples->values[samples->count++] = value;
}

void samples_free(struct samples *samples)
{
    free(samples->values);
    *samples = (struct samples){0};
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double samples_quantile(struct samples *samples, double fraction)
{
    double at;
    size_t low;

    if (samples->count == 0)
        return 0;
    qsort(samples->values, samples->count, sizeof(double), ascending);
    at = fraction * (double)(samples->count - 1);
    low = (size_t)at;
    if (low + 1 == samples->count)
        return samples->values[low];
    return samples->values[low] +
           (at - (double)low) * (samples->values[low + 1] - samples->values[low]);
}

void samples_print(struct samples *samples, const char *bench, const char *contestant,
                   const char *metric, const char *unit, double reference)
{
    double median = samples_quantile(samples, 0.5);

    if (samples->count == 0)
        return;
    printf("{\"bench\": \"%s\", \"contestant\": \"%s\", \"metric\": \"%s\", \"unit\": \"%s\", "
           "\"median\": %.4g, \"p10\": %.4g, \"p90\": %.4g, \"min\": %.4g, \"n\": %zu, ",
           bench, contestant, metric, unit, median, samples_quantile(samples, 0.1),
           samples_quantile(samples, 0.9), samples_quantile(samples, 0), samples->count);
    if (reference > 0)
        printf("\"ratio_to_samara\": %.3g}\n", median / reference);
    else
        printf("\"ratio_to_samara\": null}\n");
}
