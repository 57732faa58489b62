revoke delete on t from current_user;
