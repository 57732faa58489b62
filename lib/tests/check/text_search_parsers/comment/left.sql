comment on text search parser p is 'one';
