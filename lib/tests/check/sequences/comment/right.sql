comment on sequence s is 'two';
