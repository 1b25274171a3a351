/* manifest.json: to the byte, as its readers' scripts have it. */
#include "monitor/snapshot/manifest.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/monitor/snapshot/good_snapshot.h"

static struct snapshot_builder b;
static struct snapshot_state state;
static struct snapshot_facts facts;
static char text[MANIFEST_MOST];
static size_t length;

static void make(const struct snapshot_header *header)
{
    snapshot_builder_free(&b);
    good_state(&b, header);
    cr_assert_eq(snapshot_state_parse(b.bytes, b.size, &state, NULL), 0);
    snapshot_facts(&facts, &state, b.bytes, b.size);
    manifest_make(text, &length, &facts);
    text[length] = '\0';
}

Test(manifest, says_what_state_says)
{
    char want[2048];

    make(&good_header);
    snprintf(want, sizeof(want),
             "{\n"
             "  \"format\": 1,\n"
             "  \"id\": \"0102030405060708090a0b0c0d0e0f10\",\n"
             "  \"parent\": null,\n"
             "  \"diff\": false,\n"
             "  \"single_use\": false,\n"
             "  \"created\": \"2025-11-25T14:39:35.123456789Z\",\n"
             "  \"program\": \"/bin/busybox\",\n"
             "  \"samara\": \"0.1.0\",\n"
             "  \"kernel\": \"6.1.0-28-amd64\",\n"
             "  \"cpu\": {\n"
             "    \"vendor\": \"GenuineIntel\",\n"
             "    \"family\": 6,\n"
             "    \"model\": 143,\n"
             "    \"stepping\": 8\n"
             "  },\n"
             "  \"memory\": {\n"
             "    \"bytes\": 65536,\n"
             "    \"data\": 12288,\n"
             "    \"extents\": 2,\n"
             "    \"chunk\": 2097152,\n"
             "    \"chunks\": 1,\n"
             "    \"digest\": \"%s\"\n"
             "  },\n"
             "  \"devices\": [\n"
             "    {\n"
             "      \"slot\": 0,\n"
             "      \"device\": 19,\n"
             "      \"name\": \"vsock\",\n"
             "      \"queues\": 3,\n"
             "      \"features\": \"0x100000000\"\n"
             "    },\n"
             "    {\n"
             "      \"slot\": 1,\n"
             "      \"device\": 2,\n"
             "      \"name\": \"block\",\n"
             "      \"queues\": 1,\n"
             "      \"features\": \"0x100000000\"\n"
             "    }\n"
             "  ],\n"
             "  \"vsock_connections\": 2,\n"
             "  \"state\": {\n"
             "    \"bytes\": %zu,\n"
             "    \"records\": 17,\n"
             "    \"digest\": \"%s\"\n"
             "  }\n"
             "}\n",
             facts.memory_digest, b.size, facts.state_digest);
    cr_assert_str_eq(text, want);
}

Test(manifest, knows_a_diff)
{
    struct snapshot_header header = good_header;

    header.flags = SNAPSHOT_DIFF | SNAPSHOT_SINGLE_USE;
    header.parent[15] = 0xab;
    make(&header);
    cr_assert(strstr(text, "\"parent\": \"000000000000000000000000000000ab\","), "%s", text);
    cr_assert(strstr(text, "\"diff\": true,\n  \"single_use\": true,"), "%s", text);
    cr_assert(strstr(text, "\"zeroed\": 0,"), "%s", text);
}

Test(manifest, digests_are_those_of_the_bytes)
{
    char before[DIGEST_TEXT];
    struct snapshot_header header = good_header;

    make(&good_header);
    memcpy(before, facts.state_digest, sizeof(before));
    header.created_ns++;
    make(&header);
    cr_assert_str_neq(facts.state_digest, before);
    cr_assert_eq(strspn(before, "0123456789abcdef"), 32);
}

/* The longest path there is, of bytes that take the most room. */
Test(manifest, has_room_for_any_text)
{
    make(&good_header);
    memset(facts.program, '\x01', sizeof(facts.program) - 1);
    memset(facts.samara, '\xff', sizeof(facts.samara) - 1);
    memset(facts.kernel, '"', sizeof(facts.kernel) - 1);
    memset(facts.cpu_vendor, '\x1b', sizeof(facts.cpu_vendor) - 1);
    facts.devices = SNAPSHOT_DEVICES_MOST;
    for (unsigned i = 0; i < SNAPSHOT_DEVICES_MOST; i++)
        facts.device[i] = (struct snapshot_device){UINT32_MAX, UINT32_MAX, 8, UINT64_MAX, "vsock"};
    manifest_make(text, &length, &facts);
    cr_assert_lt(length, MANIFEST_MOST);
    cr_assert_eq(memchr(text, '\x1b', length), NULL);
    cr_assert_eq(text[length - 1], '\n');
}

Test(manifest, family_and_model_are_added_up)
{
    static const struct {
        uint32_t eax;
        unsigned family, model, stepping;
    } cpus[] = {{0x806f8, 6, 143, 8}, {0xa20f12, 25, 33, 2}, {0x513, 5, 1, 3}};

    for (size_t i = 0; i < 3; i++) {
        struct kvm_cpuid_entry2 *e;

        make(&good_header);
        e = (void *)snapshot_find(&state, RECORD_CPUID, 0)->payload;
        e[1].eax = cpus[i].eax;
        snapshot_facts(&facts, &state, b.bytes, b.size);
        cr_assert(facts.cpu_family == cpus[i].family && facts.cpu_model == cpus[i].model &&
                      facts.cpu_stepping == cpus[i].stepping,
                  "%#x", cpus[i].eax);
        e[1].function = e[0].function = 7;
        snapshot_facts(&facts, &state, b.bytes, b.size);
        cr_assert(!facts.has_cpu_model && facts.cpu_vendor[0] == '\0');
    }
}

Test(manifest, lies_beside_the_state, .init = snapshot_folder_make, .fini = snapshot_folder_remove)
{
    good_snapshot(&good_header);
    in_snapshot("python3 -c 'import json; m = json.load(open(\"manifest.json\")); "
                "assert m[\"memory\"][\"data\"] == 12288; "
                "assert m[\"devices\"][1][\"name\"] == \"block\"'");
}
