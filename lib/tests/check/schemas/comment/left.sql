comment on schema app is 'what it is for';
