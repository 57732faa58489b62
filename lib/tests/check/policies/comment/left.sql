comment on policy p on t is 'why';
