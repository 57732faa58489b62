comment on index i is 'two';
