comment on function f(int) is 'two';
