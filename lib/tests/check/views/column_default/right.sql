alter view v alter b set default 'x';
