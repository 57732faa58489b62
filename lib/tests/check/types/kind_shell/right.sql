create type t as enum ();
