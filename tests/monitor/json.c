/* JSON as it is written. */
#include "monitor/json.h"

#include <criterion/criterion.h>
#include <string.h>

Test(json, members_and_elements_are_separated)
{
    char text[200] = "";
    struct json j = JSON_INTO(text);

    json_begin(&j, NULL, '{');
    json_bool(&j, "ok", true);
    json_number(&j, "n", UINT64_MAX);
    json_begin(&j, "list", '[');
    json_end(&j, ']');
    json_begin(&j, "more", '[');
    json_begin(&j, NULL, '{');
    json_string(&j, "a", "b");
    json_end(&j, '}');
    json_begin(&j, NULL, '{');
    json_end(&j, '}');
    json_end(&j, ']');
    json_end(&j, '}');
    cr_assert_str_eq(text, "{\"ok\":true,\"n\":18446744073709551615,\"list\":[],"
                           "\"more\":[{\"a\":\"b\"},{}]}");
    cr_assert_eq(j.length, strlen(text));
    cr_assert_not(j.full);
}

Test(json, lines_are_for_people)
{
    char text[200] = "";
    struct json j = {.to = text, .size = sizeof(text), .lines = true};

    json_begin(&j, NULL, '{');
    json_number(&j, "n", 1);
    json_null(&j, "none");
    json_begin(&j, "list", '[');
    json_begin(&j, NULL, '{');
    json_end(&j, '}');
    json_string(&j, NULL, "a");
    json_end(&j, ']');
    json_end(&j, '}');
    cr_assert_str_eq(text, "{\n  \"n\": 1,\n  \"none\": null,\n  \"list\": [\n    {},\n"
                           "    \"a\"\n  ]\n}");
}

Test(json, no_text_breaks_out_of_its_quotes)
{
    char text[200] = "";
    struct json j = JSON_INTO(text);

    json_string(&j, NULL, "a\"b\\c\n\x01\x7f\xff");
    cr_assert_str_eq(text, "\"a\\\"b\\\\c\\u000a\\u0001\\ufffd\\ufffd\"");
}

Test(json, what_does_not_fit_is_known)
{
    for (size_t size = 1; size < 12; size++) {
        char text[16] = "";
        struct json j = {.to = text, .size = size};

        json_string(&j, NULL, "0123456789");
        cr_assert(j.full, "%zu", size);
        cr_assert_lt(strlen(text), size);
    }
}
