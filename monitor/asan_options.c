/* Only with AddressSanitizer. Leaks are not looked for: samara leaves what it has to the end of the
 * process, and LeakSanitizer wants /proc and ptrace, which a confined monitor has not. SIGBUS is
 * the keeper's to explain: a file that became shorter. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "detect_leaks=0:handle_sigbus=0";
}
