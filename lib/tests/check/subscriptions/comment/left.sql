comment on subscription s is 'why';
