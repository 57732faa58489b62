create type s;
