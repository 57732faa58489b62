comment on text search parser p is 'two';
