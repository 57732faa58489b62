comment on text search template t is 'two';
