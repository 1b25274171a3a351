# awk -f names.awk /usr/include/x86_64-linux-gnu/asm/unistd_64.h > syscall-names.inc
$1 == "#define" && $2 ~ /^__NR_/ && $3 ~ /^[0-9]+$/ {
    printf "[%d] = \"%s\",\n", $3, substr($2, 6)
}
