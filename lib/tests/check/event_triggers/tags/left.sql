create event trigger e on ddl_command_end when tag in ('CREATE TABLE') execute function f();
