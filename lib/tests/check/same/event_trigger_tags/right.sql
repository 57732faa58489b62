create event trigger e on ddl_command_end when tag in ('DROP TABLE', 'CREATE TABLE') execute function f();
