create index pipe_code_idx on s.pipe (code);
