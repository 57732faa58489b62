comment on constraint k on t is 'two';
