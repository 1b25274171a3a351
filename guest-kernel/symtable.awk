# nm -n guest-kernel.elf | awk -f symtable.awk > symtable.S
# Turns the kernel's function symbols into the assembly of arch/symbols.h's table.
BEGIN {
    print "    .section .symtable, \"a\", @progbits"
    print "    .balign 4"
    print "    .globl symbol_table, symbol_count, symbol_names"
    print "symbol_table:"
}
$2 ~ /^[tT]$/ && $3 !~ /^\./ {
    low = substr($1, 9)
    printf "    .long 0x%s, %d\n", low, at
    names = names "    .asciz \"" $3 "\"\n"
    at += length($3) + 1
    n++
}
END {
    printf "symbol_count: .long %d\n", n
    printf "symbol_names:\n%s", names
    print "    .section .note.GNU-stack, \"\", @progbits"
}
