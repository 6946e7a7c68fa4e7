# The accounts of docs/operate.md, "Your own database and broker". The entry point of the image mariadb reads this file once, over an empty database, and brings
# docker_process_sql. test/deploy/container reads it in the same way over a MariaDB of that machine.
secret() { cat "${SECRETS:-/run/secrets}/$1"; }

docker_process_sql <<SQL
CREATE DATABASE IF NOT EXISTS stockmesh CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE USER stockmesh_migrate IDENTIFIED BY '$(secret database-migrate)';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, TRIGGER, CREATE VIEW, SHOW VIEW ON stockmesh.* TO stockmesh_migrate;
CREATE USER stockmesh IDENTIFIED BY '$(secret database)';
GRANT SELECT, INSERT, UPDATE, DELETE ON stockmesh.* TO stockmesh;
SQL
