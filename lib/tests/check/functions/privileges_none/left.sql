revoke execute on function f() from public, current_user;
