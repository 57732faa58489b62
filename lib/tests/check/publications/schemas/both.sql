create schema app; create schema "B";
