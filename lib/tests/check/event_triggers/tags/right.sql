create event trigger e on ddl_command_end when tag in ('CREATE TABLE', 'DROP TABLE') execute function f();
