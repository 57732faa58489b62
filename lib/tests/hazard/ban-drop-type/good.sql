create type s.other as enum ('a');
drop type s.other;
