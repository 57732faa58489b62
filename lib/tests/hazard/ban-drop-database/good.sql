comment on schema s is 'drop database s';
