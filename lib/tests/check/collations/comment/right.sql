comment on collation c is 'two';
