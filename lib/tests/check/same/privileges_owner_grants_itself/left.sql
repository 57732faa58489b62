grant select on t to current_user with grant option;
