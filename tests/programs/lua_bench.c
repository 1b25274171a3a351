/* An embedded Lua: recursion, strings, tables, closures, coroutines, errors, floating point. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>

static const char script[] =
    "local function fib(n) if n < 2 then return n end return fib(n-1) + fib(n-2) end\n"
    "print('fib', fib(24))\n"
    "local t, x = {}, 42\n"
    "for i = 1, 20000 do x = (x * 1103515245 + 12345) % 2147483648; t[i] = x end\n"
    "table.sort(t)\n"
    "print('sort', t[1], t[10000], t[20000])\n"
    "local parts = {}\n"
    "for i = 1, 5000 do parts[#parts+1] = string.format('%04x', i * i % 65536) end\n"
    "local s = table.concat(parts, ',')\n"
    "print('string', #s, select(2, s:gsub('a', 'b')), s:sub(-4), s:upper():find('FF'))\n"
    "local count = 0\n"
    "for w in s:gmatch('%x+') do count = count + #w end\n"
    "print('match', count)\n"
    "local co = coroutine.wrap(function() for i = 1, 1000 do coroutine.yield(i) end end)\n"
    "local sum = 0\n"
    "for i = 1, 1000 do sum = sum + co() end\n"
    "print('coroutine', sum)\n"
    "print('error', pcall(function() error({code = 7}) end))\n"
    "print('float', string.format('%.12f %.6e', math.sin(1) + math.sqrt(2), 2^100))\n"
    "local g = setmetatable({}, {__index = function(_, k) return k * 2 end})\n"
    "print('meta', g[21])\n"
    "for i = 1, 200 do local big = {} for j = 1, 200 do big[j] = {j} end end\n"
    "collectgarbage()\n"
    "print('collected', collectgarbage('count') < 5000)\n"
    "local name = os.tmpname()\n"
    "local f = assert(io.open(name, 'w')); f:write('a line\\nanother\\n'); f:close()\n"
    "for line in io.lines(name) do print('file', line) end\n"
    "print('remove', os.remove(name))\n";

int main(void)
{
    lua_State *L = luaL_newstate();
    int failed;

    if (!L)
        return 2;
    luaL_openlibs(L);
    /* A table's address is not the same twice. */
    failed = luaL_dostring(L, "local p = print\n"
                              "print = function(...)\n"
                              "  local a = {...}\n"
                              "  for i = 1, #a do if type(a[i]) == 'table' then a[i] = 'table' end "
                              "end\n"
                              "  p(table.unpack(a))\n"
                              "end\n") ||
             luaL_dostring(L, script);
    if (failed)
        fprintf(stderr, "lua: %s\n", lua_tostring(L, -1));
    lua_close(L);
    return failed;
}
