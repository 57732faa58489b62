comment on collation c is 'one';
