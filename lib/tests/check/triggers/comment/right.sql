comment on trigger x on t is 'two';
