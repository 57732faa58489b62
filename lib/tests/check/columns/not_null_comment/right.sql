comment on constraint x on t is 'two';
