comment on text search configuration c is 'two';
