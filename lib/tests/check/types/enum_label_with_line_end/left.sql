create type e as enum (E'a\nb');
