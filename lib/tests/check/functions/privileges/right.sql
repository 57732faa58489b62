revoke execute on function f() from public;
