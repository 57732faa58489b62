comment on statistics s is 'why';
