revoke create on schema app from current_user;
