comment on index k is 'two';
